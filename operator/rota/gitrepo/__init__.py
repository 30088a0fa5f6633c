"""The repository: what it asks for is read, what was observed goes to its status branch."""

from rota.gitrepo.credentials import Credentials
from rota.gitrepo.git import Deadlines
from rota.gitrepo.local import LocalRepository
from rota.gitrepo.mirror import Mirror
from rota.gitrepo.source import Poll, Source
from rota.gitrepo.status_branch import Published, StatusBranch, StatusTip
from rota.gitrepo.trees import Checkout, FolderTree
from rota.gitrepo.url import check_url

__all__ = [
    "Checkout",
    "Credentials",
    "Deadlines",
    "FolderTree",
    "LocalRepository",
    "Mirror",
    "Poll",
    "Published",
    "Source",
    "StatusBranch",
    "StatusTip",
    "check_url",
]

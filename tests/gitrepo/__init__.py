"""The gitrepo package against real repositories and a real git server."""

"""The fixtures are in `fixtures.py`: `tests/conftest.py` gives them to tests outside this folder, too."""

"""What Rota says: the documents of the status branch, their README, and plans."""

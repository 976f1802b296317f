"""Tags, rows and files of MLflow become the words of the inventory. Pure."""

"""`python3 tasks.py gpu`: what a GPU does with the suite, checked and measured in ten minutes."""

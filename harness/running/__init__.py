"""What pytest runs, and how long it takes."""

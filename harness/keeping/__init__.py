"""Results of earlier runs, kept in a folder of a bounded size, and the trend that they show."""

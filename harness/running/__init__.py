"""What pytest runs: trials, what a process finds, processes of xdist, interruptions, races."""

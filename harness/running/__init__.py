"""What pytest runs: trials, the session, processes of xdist, interruptions, races."""

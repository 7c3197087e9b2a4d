"""R takes half a second to start; torch takes longer to import: R starts first."""

from reference import r_nnet

r_nnet.wake()

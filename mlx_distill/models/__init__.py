"""Teachers, which are asked over the network or locally; students, which are trained; and how both are asked."""

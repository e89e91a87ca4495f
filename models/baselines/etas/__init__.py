"""ETAS, the epidemic-type aftershock sequence model (Ogata 1988, 1998): fit, likelihood, simulation."""

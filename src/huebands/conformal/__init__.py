"""Split conformal bands for colours: scores, calibration, bands and the coverage they reach."""

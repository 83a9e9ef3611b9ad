"""Scores, a file each: pure functions of features or pixels, every sum in float64.

==================  ========================================  ======================================
file                function                                  better
==================  ========================================  ======================================
kid                 ``kid``                                   lower, about 0 for one distribution
frechet             ``frechet_distance``                      lower, 0 for the same set
swd                 ``swd``, by level of a pyramid            lower, 0 for the same set
precision_recall    ``precision_recall``                      higher, 0..1
r_precision         ``r_precision``, also the AUC             higher, 0..1; by chance .01 and .5
spectrum            ``peaks``                                 near 1: no pattern of its own
diversity           ``diversity``                             beside that of photographs
neighbours          ``nearest``, ``nearest_other``            beside that of photographs
==================  ========================================  ======================================

None of them opens a file or holds a network, and none depends on the order or the batches its
pictures came in. A score means nothing without its protocol: ``evaluation.report`` attaches it.
"""

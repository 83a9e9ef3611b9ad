"""StackGAN (Zhang et al., ICCV 2017): Stage-I, Stage-II, their discriminators."""

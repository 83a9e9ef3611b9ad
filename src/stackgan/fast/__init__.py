"""Functions equal to torch's, each in several forms; which is fastest here is measured."""

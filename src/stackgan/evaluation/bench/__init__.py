"""How fast and how small: every figure as a ratio against the same networks written plainly.

networks.py  the published networks, plainly        recipe.py   the plain step, sampler and loader
timing.py    interleaved, median and spread          setup.py    both sides from the same weights
figures.py, resources.py   what is measured          report.py   the table, the JSON, the plot
child.py     what is measured in a process of its own
"""

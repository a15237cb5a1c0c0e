"""How well the library predicts real tables with no choice made, beside scikit-learn's models: `python -m
benchmarks.quality`. Sets that are not there are left out.
"""

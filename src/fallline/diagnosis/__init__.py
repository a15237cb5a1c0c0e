"""Diagnosis: the state of a trained network and all that is wrong with it, each finding with its proof.

Every module of this folder that declares a verdict is found by itself; adding one is adding a file.
"""

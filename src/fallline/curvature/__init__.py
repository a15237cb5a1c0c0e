"""The shape of a function around a point: the spectrum of its Hessian, steps that it bears, the kind of the point."""

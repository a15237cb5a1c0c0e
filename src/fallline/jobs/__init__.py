"""From settings and data to a training that can begin: everything looked up, checked and converted, or one error."""

"""`python -m fallline.bench`."""

import sys

from fallline.bench.command import main

sys.exit(main())

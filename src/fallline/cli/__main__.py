"""`python -m fallline.cli`."""

import sys

from fallline.cli import main

sys.exit(main())

import logging
import sys

from runmacs.roc import initRocLogging

initRocLogging(sys.argv[1])
logging.getLogger("measure").info("%d frames taken", 3)

"""What is in a dataset: counts, sizes, classes, and what is odd. See docs/inspect.md.

spread and oddity are what is counted, tally adds it up; look counts one picture, run all of them; report is what comes
of it, table, plots and compare show it.
"""

from augpipe.survey.report import SurveyReport
from augpipe.survey.run import survey

__all__ = ["SurveyReport", "survey"]

"""What is in a dataset: counts, sizes, classes, and what is odd about it. See docs/inspect.md.

``count`` counts one picture into ``tally``, ``run`` all of them; ``report`` is the result, which ``table``, ``plots``
and ``diff`` show; ``issues`` and ``dataset_checks`` find what is odd; ``run_folder`` reads what a run's folder says.
"""

from augpipe.survey.report import SurveyReport
from augpipe.survey.run import survey

__all__ = ["SurveyReport", "survey"]

"""Why a gradient is missing, wrong or not finite: a folder for each public function that answers such a question.

Not here: the walks through graphs (``graph``, ``analysis``), pages and pictures of the answers (``report``).
"""

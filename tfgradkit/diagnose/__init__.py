"""Why a gradient is missing, wrong or not finite: what a user asks, a folder for each public function.

Not here: the walks through graphs (``graph``, ``analysis``), pages and pictures of the answers (``report``).
"""

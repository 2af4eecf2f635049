"""The verbs: each makes one thing of several rooms."""

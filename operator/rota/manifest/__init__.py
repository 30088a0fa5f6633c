"""From a revision's files to one `Fleet`, or to the problems that keep it from being one.

Charter: text, schema and references between documents. No network, no clock, no file of the
repository but through a `Tree`; foreign values stop here and become the types of `rota.core.model`.
"""

"""Name the lists whose order says something, in whatever element they stand.

FHIR gives the order of a list no meaning unless it says so, and Metriport merges documents in the order they come in:
all other lists are compared as bags.
https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.orderMeaning
"""

REASONS = {
    "given": "HumanName.given, prefix, suffix: in the correct order for presenting the name",
    "prefix": "as given",
    "suffix": "as given",
    "line": "Address.line: the order in which lines should appear in an address label",
    "dosageInstruction": "Dosage: without a sequence number they apply in the order they stand in",
    "dosage": "as dosageInstruction",
    "section": "Composition.section: a document is read from the beginning",
    "item": "Questionnaire.item and the answers to it: as they are asked; items of a claim: as they are billed",
    "action": "PlanDefinition.action, RequestGroup.action: as they are done",
    "parameter": "Parameters.parameter: an operation may depend on their order",
    "sort": "DataRequirement.sort: the first one sorts first",
}
ORDERED = frozenset(REASONS)
ORDERED_IN = {"List": "entry"}  # List.entry: in the order that List.orderedBy tells

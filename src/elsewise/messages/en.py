"""English."""

from typing import Final

MESSAGES: Final = {
    "decimal": ".",
    "percent": "{number} %",
    "and": "{first} and {second}",
    # What was decided, and why, with the numbers: for those who run the model.
    "answered": '"{best}" with probability {p}; {compared}.',
    "unreadable": "{other}: the text holds nothing that the model can read.",
    "unfamiliar": "{other}: the text is unlike the training texts{how}; {compared}.",
    "ambiguous": (
        '{other}: two labels are close together, "{best}" with probability {p} and "{second}" with {q}{possible}; '
        "{compared}."
    ),
    "unsure": '{other}: the model is not sure, its best label "{best}" has probability {p}; {compared}.',
    # Parts of them.
    "how_one": ", as at most {share} of in-scope texts are; the nearest label is {near}",
    "how_two": ", as at most {share} of in-scope texts are; the nearest labels are {near}",
    "possible": " (possible are {labels})",
    "reaches": "the confidence {confidence} reaches the threshold {threshold}",
    "below": "the confidence {confidence} is below the threshold {threshold}",
    "margin": "that is closer than this rule's margin",
    "nothing": "the confidence {confidence} is not enough, because this rule answers nothing",
    "everything": "the confidence {confidence} is enough, because every readable text is answered",
    # What a customer is shown: no numbers, and no word of the trade.
    "customer_answered": 'This text was sorted automatically, under "{best}".',
    "customer_unreadable": (
        "This text was not sorted automatically: we found nothing in it that can be read. A person will look at it."
    ),
    "customer_unfamiliar": (
        "This text was not sorted automatically: it resembles none of the topics that we know. "
        "A person will look at it."
    ),
    "customer_ambiguous": (
        'This text was not sorted automatically: both "{best}" and "{second}" would fit. A person will look at it.'
    ),
    "customer_unsure": (
        "This text was not sorted automatically: it is not clear enough what it is about. A person will look at it."
    ),
    "customer_nothing": "This text was not sorted automatically. A person will look at it.",
}

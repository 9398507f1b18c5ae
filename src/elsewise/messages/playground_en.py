"""English of the page where a served model is tried."""

from typing import Final

MESSAGES: Final = {
    # The page.
    "page_title": "Try a text classifier",
    "language": "English",
    "skip": "Skip to the texts",
    "links": "Further pages",
    "docs": "What else can be asked",
    "title": "Try the model",
    "subtitle": "{labels} labels, or {other}.",
    "opening": "Asking the server what it serves …",
    "no_script": "This page needs JavaScript. What can be asked without it is listed at",
    "footer": "Elsewise {version}. This page asks this server alone, and keeps nothing.",
    "infinite": "∞",
    "minus_infinite": "−∞",
    # The key.
    "key": "API key",
    "key_why": (
        "This server answers those who have a key. It stays in the memory of this page, goes to this server alone, and "
        "is gone when the page is closed."
    ),
    "key_use": "Use this key",
    "key_wrong": "The server does not know this key.",
    # The texts.
    "texts": "Texts",
    "texts_label": "Texts to decide on",
    "texts_hint": "Paste one or many texts",
    "each_line": "Each line is a text of its own",
    "decide": "Decide",
    "open_file": "Open a CSV file",
    "drop": "A CSV file can also be dropped anywhere on this page.",
    "file_is": "{name}: {rows} rows",
    "file_first": "The first {most} of them are taken. For whole files: elsewise predict MODEL FILE -o ANSWERS",
    "column": "Column with the texts",
    "remove_file": "Remove the file",
    "file_encoding": "This file is not UTF-8. Save it as “CSV UTF-8”, and open it again.",
    "file_empty": "This file has no row below its header.",
    "file_large": "This file is too large for a page. For whole files: elsewise predict MODEL FILE -o ANSWERS",
    "no_text": "Type a text first.",
    # The threshold.
    "threshold": "Threshold",
    "threshold_label": "Answer from this confidence on",
    "threshold_number": "Threshold as a number",
    "as_served": "The model's own threshold",
    "at_certified": "Certified threshold: {threshold}.",
    "at_served": "The model's own threshold: {threshold}. It was not tested.",
    "at_each_label": "The model's own thresholds, one for each label.",
    "at_everything": "The model's own threshold answers every text that can be read.",
    "at_nothing": "The model's own threshold answers no text.",
    "at_own": "Your own threshold: {threshold}. These answers carry no promise.",
    "not_movable": (
        "This model compares a confidence ({score}) that does not lie between 0 and 1. Its threshold cannot be moved "
        "here."
    ),
    "promise_short": (
        "At least {target} of the labels that it gives are right. A text that it is not sure of becomes {other}."
    ),
    "promise_none": "Nothing is promised: no accuracy could be shown. Every text is {other}.",
    "promise_whole": "The promise in full",
    "no_promise": "Nothing is promised: the threshold of this model was not tested.",
    # The answers.
    "answers": "Answers",
    "no_answers": "They appear here.",
    "summary": "{answered} of {texts} answered ({share}), {left} {other}",
    "summary_failed": "{failed} not decided",
    "asking": "{done} of {texts} texts …",
    "waiting": "The server is full. Trying again in {seconds} s …",
    "show": "Show",
    "show_all": "all texts",
    "show_answered": "answered ({n})",
    "show_other": "{other} ({n})",
    "more": "Show {n} more",
    "label_mix": "How often each label was answered",
    "bars": "Probability of the best labels",
    "at_threshold": "threshold {threshold}",
    "at_own_threshold": "your threshold {threshold}, without a promise",
    "confidence_bar": "Confidence",
    "all_labels": "All {labels} labels",
    "truncated": "This text is longer than the model reads: its end was left out.",
    "barred": "No threshold answers this text.",
    "not_decided": "not decided",
    "swapped": "The server has changed its model: these are answers of the new one.",
    # The words that pulled.
    "why": "Which words pulled?",
    "why_asking": "Asking again without each word …",
    "why_long": "Texts of more than {most} characters are not explained here.",
    "pulls": "What pulled towards {label}",
    "pulls_intro": (
        "The text was answered again without each word. To the right: the word speaks for this label. To the left: it "
        "speaks against it. Numbers are log-odds."
    ),
    "pulls_grouped": "The text is long, so several words were left out at a time.",
    "pulls_none": "No word of this text changes the answer.",
    "pulls_cut": "The model reads the first {read} of {characters} characters.",
    "pulls_unknown": "Not in the model's vocabulary: {pieces}",
    "nearest": "Nearest labels by their known texts: {labels}",
    # What goes wrong.
    "error_reach": "The server cannot be reached.",
    "error_internal": "The server has failed. Its log says where.",
    "error_not_ready": "The model is still being loaded.",
    "error_draining": "The server is stopping.",
    "error_queue_full": "The server is full. Try again later.",
    "error_deadline": "The server was too busy to answer in time. Try again.",
    "error_text_long": "This text is too long: it may have {most} characters.",
    "error_body_large": "These texts are too large for one request of {most} bytes.",
    "error_other": "{title}: {detail}.",
}

"""English."""

from typing import Final

MESSAGES: Final = {
    "decimal": ".",
    "thousands": ",",
    "percent": "{number} %",
    "and": "{first} and {second}",
    # What was decided, and why, with the numbers: for those who run the model.
    "answered": '"{best}" with probability {p}; {compared}.',
    "unreadable": "{other}: the text holds nothing that the model can read.",
    "unfamiliar": "{other}: the text is unlike the known texts{how}; {compared}.",
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
    "barred_ambiguous": "that is closer than this rule's margin",
    "barred_unfamiliar": "this rule never answers such a text",
    "barred_unsure": "that is below this rule's floor",
    "nothing": "the confidence {confidence} is not enough, because this rule answers nothing",
    "everything": "the confidence {confidence} needs to reach no threshold",
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
    # What a certificate promises.
    "promise": (
        "At least {target} of what is answered is right, at confidence level {level}: {tested} {over_draws} {source}"
    ),
    "tested": (
        "of {rows} labelled texts kept aside for this test, {n} were answered and {errors} of those wrongly ({method})."
    ),
    "over_draws": (
        "The confidence is over the draw of those texts: at most {delta} of such draws would promise too "
        "much{together}."
    ),
    "over_draws_each": (
        "The confidence is over the draw of those texts: for each promise, at most {delta} of such draws would promise "
        "too much{together}."
    ),
    "looks": ", and all {looks} looks at them hold together at {held}",
    "source": (
        "It holds for texts that come from the same source, {share} of them out-of-scope; another share of "
        "out-of-scope texts is not covered."
    ),
    "method_plain": "exact binomial test, fixed sequence",
    "method_mixed": "exact bounds of both kinds of text, fixed sequence",
    "method_groups": "exact binomial test, fixed sequence, in each group by itself",
    "method_band": "exact bounds at {points} thresholds at once, Bonferroni",
    # What the gates of a rule bar.
    "gate_unfamiliar": "A text unlike the known texts is never answered: {measured}.",
    "gate_unsure": "A text whose best label is too improbable is never answered: {measured}.",
    "gate_ambiguous": "A text whose best two labels are too close is never answered: {measured}.",
    "gate_measured": (
        "of {rows} in-scope texts kept aside {n} were so, at confidence level {level} at most {high} of all such texts"
    ),
    "gates_caught": ("Of {rows} out-of-scope texts kept aside {n} were stopped so, at least {low} of all such texts."),
    "gates_caught_none": (
        "How many texts that belong to none of the labels are stopped is not known: there was none among them."
    ),
    # Which texts a promise is about.
    "distinct_texts": (
        "It is about distinct texts, however often each comes: {repeats} of {kept_aside} labelled rows kept aside "
        "repeat an earlier row and were left out."
    ),
    "repeats_count": "It is about all texts that come in: a text counts as often as it comes.",
    "one_a_group": "It is about texts of new groups: each group counts once, by one row drawn by chance.",
    "newest_rows": "The texts kept aside are newer than those that it was calibrated on.",
    # Less is promised than was asked for.
    "lower": "This promise is less than the {asked} that was asked for, which could not be certified: {more}.",
    # What must not be missed, in one line.
    "head_lower": "Less is promised than was asked for: {target}, because {asked} could not be certified.",
    "head_nothing": "Nothing is promised, and every text becomes Other: {asked} could not be certified.",
    "head_everything": "Every text that can be read is answered: {target} holds without a threshold.",
    "head_all": "All {rows} labelled texts kept aside for the test were answered.",
    "head_gates": "Every text that the gates let through is answered: {target} holds without a threshold.",
    # Nothing is promised.
    "refusal": (
        "Nothing is promised, and every text becomes Other: {target} right among what is answered could not be "
        "certified at confidence level {level} on {rows} labelled rows kept aside for this test; {more}. "
        "These rows support {best}."
    ),
    "none_lower": "No lower target, down to {lowest}, could be certified either.",
    "more_hopeless": "more certify rows would not help this model; a better model would",
    "more_useless": "more certify rows would not help this model; a better model or a lower target would",
    "more_about": "about {needed} such rows would be needed, as far as these tell",
    "more_at_least": "at least {needed} such rows would be needed, more if some are answered wrongly",
    "best_none": "no accuracy",
    "best": "an accuracy of {accuracy}, all thresholds taken together",
    "best_behind": "an accuracy of {target}, but at a threshold behind a stricter one that failed",
    "band_refusal": ("Nothing is promised, and every text becomes Other: at {threshold} no accuracy is supported."),
    # A stated share of out-of-scope texts.
    "mixed": (
        "At least {target} of what is answered is right, at confidence level {level}, where up to {share} of the texts "
        "are out-of-scope: of {rows} labelled in-scope texts kept aside for this test, {n} were answered and {errors} "
        "of those wrongly; {outside} ({method}). {over_draws} It holds for texts of each kind that come from the same "
        "source; a larger share is not covered."
    ),
    "mixed_outside": "{n} of {rows} out-of-scope texts were answered, taken as {high} at most",
    "mixed_no_outside": ("there was no out-of-scope text among them, and all that come are taken to be answered"),
    # One group of labels.
    "group": (
        "At least {target} of what is answered with {who} is right, at confidence level {level}: {tested} "
        "{over_draws}{together}"
    ),
    "group_together": " All {tests} promises hold together at {held}.",
    "group_refusal": (
        "Nothing is promised of {who}, and it is never answered: {target} right could not be certified at confidence "
        "level {level} on {rows} labelled rows; {more}."
    ),
    "group_more_useless": "more would not help",
    "group_more": "about {needed} would be needed",
    "who_label": 'label "{name}"',
    "who_group": 'the group "{name}"',
    "who_rare_one": "{labels} rare label taken as one group",
    "who_rare_many": "{labels} rare labels taken as one group",
    "too_rare_one": "{labels} label too rare to be certified per label",
    "too_rare_many": "{labels} labels too rare to be certified per label",
    "fallen_back": (
        "Nothing is promised of {who}: the threshold {threshold} is {whence}. Of {rows} labelled texts that would get "
        "one of these labels, {n} were answered and {errors} of those wrongly."
    ),
    "whence_certified": "certified for all labels together",
    "whence_refused": "used as none is certified",
    # All groups of labels.
    "none_of_labels": "No label is certified by itself.",
    "none_of_groups": "No group of labels is certified by itself.",
    "groups": (
        "At least {target} of what is answered with {who} is right, at confidence level {level}{each}: {tested} {over}"
    ),
    "groups_refusal": (
        "Nothing is promised{other}: {target} right among what is answered could not be certified at confidence level "
        "{level} on {rows} labelled rows; {more}."
    ),
    "groups_other": ", and every text becomes Other",
    "groups_more_useless": "more rows would not help this model",
    "one_of_labels": "one label",
    "one_of_groups": "one group of labels",
    "each_of_labels": "each of {certified} labels",
    "each_of_groups": "each of {certified} groups of labels",
    "and_with": "{first} and with {second}",
    "each_together": " for all of these promises together",
    "each_alone": " for each of these promises by itself",
    "all_alone": "Nothing is promised of all answers at once: all {tests} promises hold together at {held} only.",
    "all_together": "So at least {target} of everything that is answered is right, too.",
    "never_of_labels_one": "{labels} label could not be certified and is never answered.",
    "never_of_labels_many": "{labels} labels could not be certified and are never answered.",
    "never_of_groups_one": "{labels} group of labels could not be certified and is never answered.",
    "never_of_groups_many": "{labels} groups of labels could not be certified and are never answered.",
    "rare_refused": "There are {who}; no threshold could be certified for all labels, and they are never answered.",
    "rare_fall_back": (
        "There are {who}; they use the threshold {threshold} that is certified for all labels together, and nothing is "
        "promised of them, nor of everything that is answered."
    ),
    "rare_promised": "There are {who}: the promise is for them taken together, not certified per label.",
    "rare_pool_refused": (
        "There are {who}; taken as one group they could not be certified either, and are never answered."
    ),
    # What `explain` shows.
    "explain_customer": "For a customer: {sentence}",
    "explain_best": "The best labels; {compared}",
    "explain_compared": "the confidence ({score}) is {confidence}, the threshold {threshold}",
    "explain_barred": "a gate bars the text, whatever its confidence",
    "explain_nearest": "Nearest labels: {labels}",
    "explain_possible": "Labels that stay possible: {labels}",
    "explain_pulls": 'What pulled towards "{best}" (+) and away from it (-), in log-odds',
    "explain_neighbours": "The nearest known texts",
    "explain_label": "label",
    "explain_probability": "probability",
    "explain_pull": "pull",
    "explain_without": "probability without",
    "explain_words": "words",
    "explain_similarity": "similarity",
    "explain_text": "text",
    "explain_more": " and {more} more",
    "explain_tokens": "Tokens used: {tokens}",
    "explain_dropped": '; dropped: the last {dropped} of {characters} characters, after "{last}"',
    "explain_unknown": "; not in the vocabulary: {pieces}",
    "explain_model": "Model: {name}; decision version {version}",
    "explain_hash": "Text: SHA-256 {hash}",
    "explain_certificate": "Certificate: {sentence}",
    "explain_none": "none",
    "explain_written": "written: {file}",
    # Whether a receipt is confirmed.
    "explain_of_text": "text",
    "explain_of_model": "model",
    "explain_of_decision_version": "decision version",
    "explain_of_certificate": "certificate",
    "explain_of_answer": "answer",
    "explain_same": "the same",
    "explain_different": "different",
    "explain_identical": "the same, bit for bit",
    "explain_close": "the same; its probability differs by no more than between processors",
    "explain_not_confirmed": "{file} is not confirmed: {difference}",
    "explain_differs_text_sha256": "the text is not that of the receipt, SHA-256 {there} there, {here} here",
    "explain_differs_model": "the model is not that of the receipt: {there} there, {here} here",
    "explain_differs_decision_version": (
        "the model is that of the receipt, and its calibrator, rule, threshold or certificate is not: "
        "decision version {there} there, {here} here"
    ),
    "explain_differs_certificate": "the certificate is not that of the receipt: {there} there, {here} here",
    "explain_differs_answer": "the answer is not that of the receipt: {there} there, {here} here",
    "explain_answer": '"{label}" ({reason}, probability {probability})',
    "explain_reason_answered": "answered",
    "explain_reason_unreadable": "unreadable",
    "explain_reason_unfamiliar": "unfamiliar",
    "explain_reason_ambiguous": "ambiguous",
    "explain_reason_unsure": "unsure",
    # Whether labelled rows keep the promise.
    "verdict_kept": (
        "Promise kept on these {rows} rows: {value} ({low} to {high}) of the {answered} {given} are right, and at "
        "least {target} is promised."
    ),
    "verdict_contradicted": (
        "Promise contradicted on these {rows} rows: {value} ({low} to {high}) of the {answered} {given} are right, "
        "and at least {target} is promised."
    ),
    "verdict_too_few": (
        "Too few rows to tell: {value} ({low} to {high}) of the {answered} {given} of these {rows} rows are right, "
        "and at least {target} is promised{needed}."
    ),
    "verdict_needed": "; about {needed} answered rows would tell, as far as these do",
    "verdict_none": "Too few rows to tell: of these {rows} rows none is {given}, and at least {target} is promised.",
    "verdict_given": "answered",
    "verdict_given_label": 'answered "{label}"',
    "verdict_given_group": 'answered with a label of the group "{label}"',
    "verdict_given_rare": "answered with a rare label",
    "verdict_worst": "There are {promises} such promises, each tested by itself, and this one does worst.",
    "verdict_left_out": (
        "{left_out} more rows do not count: their texts made the model, repeat an earlier row, or have an answer that "
        "nothing is promised of."
    ),
    "verdict_out_of_scope": (
        "{here} of these rows are out-of-scope, and the promise is made for {there}: it does not cover that."
    ),
    # Whether the promise can be believed for texts without labels.
    "shift_believed": (
        "The promise can still be believed for these {rows} texts: an estimated {value} ({low} to {high}) of the "
        "{answered} answers are right, and at least {target} is promised."
    ),
    "shift_below": (
        "The promise is in doubt for these {rows} texts: an estimated {value} ({low} to {high}) of the {answered} "
        "answers are right, and at least {target} is promised; label some of these texts, and evaluate."
    ),
    "shift_other": (
        "These {rows} texts are unlike those of the certificate: {share} of them are Other, there it was {expected}; "
        "an estimated {value} ({low} to {high}) of the {answered} answers are right, and at least {target} is promised."
    ),
    "shift_labels": (
        "These {rows} texts are unlike those of the certificate: {share} of the answers would need another label to "
        "have its mix; an estimated {value} ({low} to {high}) of the {answered} answers are right, and at least "
        "{target} is promised."
    ),
    "shift_few": (
        "Too few answers to tell whether the promise can be believed: {answered} of these {rows} texts, and at least "
        "{target} is promised."
    ),
    "watch_no_promise": "This model promises nothing, so there is nothing to keep.",
    "watch_no_text": "No text has come yet.",
    "watch_quiet": "No alarm.",
    "watch_raised": "Alarms: {alarms}.",
    "watch_accuracy": (
        "Raised when the answers' own probabilities expect fewer than {least} of them to be right. The chance that it "
        "is ever raised while that is not so is at most {rate}, however long one looks."
    ),
    "watch_labelled": (
        "Raised when, of the answers that were drawn and labelled, fewer than {least} are right. The chance that it is "
        "ever raised while that is not so is at most {rate}, however long one looks."
    ),
    "watch_other": (
        "Raised when fewer than {least} of the texts are answered. The chance that it is ever raised while that is not "
        "so is at most {rate}, however long one looks."
    ),
}

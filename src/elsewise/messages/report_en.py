"""English of reports."""

from typing import Final

MESSAGES: Final = {
    # The page.
    "page_title": "Report of a text classifier",
    "skip": "Skip to the report",
    "contents": "Sections",
    "title": "How far this classifier can be trusted",
    "subtitle": "{labels} labels, answered by {engine}.",
    "subtitle_rows": "Measured on {rows} test texts that it was not made with.",
    "subtitle_seen": "Measured on {rows} texts.",
    "seen": "{seen} of {rows} texts were used to make the model: the figures flatter it.",
    "outdated": (
        "The threshold was changed after this report was written. What it says of the threshold in use is outdated; "
        "write a new report with elsewise evaluate."
    ),
    "footer": "Written by elsewise {version}. This page asks for nothing and sends nothing.",
    "no_rows_here": "There were no test rows to show this on.",
    "no_test_rows": "There were no test rows, so this report shows the promise and no figures. With labelled texts:",
    "numbers_of_picture": "The numbers of this picture",
    "nav_promises": "Promises",
    "nav_explorer": "Threshold",
    "nav_reasons": "Reasons",
    "nav_probabilities": "Probabilities",
    "nav_risk": "Risk",
    "nav_labels": "Labels",
    "nav_outside": "Texts from outside",
    "nav_plan": "More rows",
    "nav_engines": "Engines",
    "nav_glossary": "Words",
    # Words of many tables.
    "threshold": "Threshold",
    "coverage": "Texts answered",
    "accuracy_when_answered": "Right when answered",
    "share": "Share of the texts",
    "rows": "Rows",
    "test_rows": "Test rows",
    "figure": "Figure",
    "value": "Value",
    "interval_95": "95 % interval",
    "interval": "{low} to {high}",
    "of": "{n} of {rows}",
    "label": "Label",
    "true_label": "True label",
    "best_label": "Most probable label",
    "reason": "Reason",
    "text": "Text",
    "probability": "Probability",
    "infinite": "∞",
    "minus_infinite": "−∞",
    "nothing": "nothing",
    "yes": "yes",
    "no": "no",
    "few_rows": "few rows",
    "out_of_scope": "out of scope",
    # 1 The promises.
    "promises": "The promises",
    "promise_lead": (
        "At least {target} of the labels that it gives are right. A text that it is not sure of becomes {other}."
    ),
    "no_promise": "Nothing is promised: the threshold in use was not tested for a promise.",
    "refused_lead": "Nothing is promised, and every text is left to a person.",
    "verdict_kept": (
        "The test texts agree: {right} of {answered} answers were right, {accuracy} ({interval} at 95 %). They had no "
        "part in the promise."
    ),
    "verdict_open": (
        "The test texts do not contradict it: {right} of {answered} answers were right, {accuracy}; so few texts leave "
        "{interval} possible at 95 %."
    ),
    "verdict_contradicted": (
        "The test texts contradict it: {right} of {answered} answers were right, {accuracy}, and {interval} is "
        "possible at 95 %. Do they come from the same source as the texts that the promise was tested on?"
    ),
    "thousand": "Of 1,000 texts",
    "thousand_alt": "1,000 small squares, one for each text, by what becomes of it; the table beside has the numbers",
    "outcome": "What becomes of them",
    "of_thousand": "Of 1,000",
    "outcome_right": "answered, right",
    "outcome_wrong": "answered, wrong",
    "outcome_unsure": "{other}: the model is not sure",
    "outcome_ambiguous": "{other}: two labels are close",
    "outcome_unfamiliar": "{other}: unlike the training texts",
    "outcome_unreadable": "{other}: cannot be read",
    # 2 The explorer.
    "explorer": "What another threshold would do",
    "explorer_intro": (
        "A text is answered when its confidence reaches the threshold; else it becomes {other} and a person looks at "
        "it. Every number here is counted on the test texts."
    ),
    "without_script": "The slider needs JavaScript. The picture and the table below show the same without it.",
    "threshold_number": "Threshold as a number",
    "which_label": "Texts that would get",
    "all_labels": "any label",
    "option": "{name} ({rows} rows)",
    "cost_of_error": "Cost of a wrong answer",
    "cost_of_look": "Cost of a look by a person",
    "presets": "Thresholds to begin with",
    "preset_promised": "As promised",
    "preset_usual": "0.6",
    "preset_everything": "Answer everything",
    "preset_cheapest": "Cheapest",
    "few_rows_note": "This label has too few test rows: its shares tell little.",
    "errors_in_thousand": "Wrong in 1,000 texts",
    "looks_in_thousand": "Looks in 1,000 texts",
    "cost_in_thousand": "Cost of 1,000 texts",
    "cheapest": "least {cost}, at {threshold}",
    "band_promise": "Promised there",
    "at_least": "at least {share} right",
    "band_at": "by the band's threshold {threshold}",
    "band_whole": "the band is about all labels together",
    "no_band": "No promise can be kept here: the folder keeps no rows to test on.",
    "copy": "Copy the command",
    "copied": "copied",
    "no_command": "no threshold of the band lies here",
    "explorer_alt": "Texts answered, accuracy when answered and the promise of the band at every threshold",
    "band_key": "promised by the band",
    "band_words": (
        "The band holds at all its thresholds at once, at confidence level {level}. So a threshold may be chosen after "
        "looking, and still keeps the promise that is shown for it. However often one chooses, it is one look at the "
        "rows that promises are tested on."
    ),
    "explorer_table": "Some thresholds on the test texts",
    "at_promised": "In use now",
    "at_usual": "0.6, often taken",
    "at_everything": "Answer everything",
    "at_coverage": "Answers {share} of the texts",
    "by_label_now": "Every label at this threshold",
    "would_get": "Would get it",
    "answered": "Answered",
    "wrong": "Wrong",
    # 3 Reasons.
    "reasons": "Why texts became {other}",
    "what_it_means": "What it means",
    "reason_unsure": "not sure",
    "reason_ambiguous": "two labels are close",
    "reason_unfamiliar": "unfamiliar",
    "reason_unreadable": "unreadable",
    "means_unsure": "No label reaches the threshold, or the best one is more likely wrong than right.",
    "means_ambiguous": "The two best labels share most of the probability; either could be meant.",
    "means_unfamiliar": "The text is unlike the texts that the model learnt from.",
    "means_unreadable": "The text holds nothing that the model can read.",
    "no_abstentions": "None of the test texts became {other}.",
    "no_examples": "No texts are shown, as texts are often personal data. --with-examples 5 shows some.",
    "personal_data": "The texts below may be personal data. Pass this page on with care.",
    "examples": "Texts, the first of each reason",
    # 4 Probabilities.
    "probabilities": "Can the probabilities be believed?",
    "calibration_good": (
        "Yes, as far as these texts tell: stated probabilities and shares of right labels differ by {ece} on average, "
        "and {null} would be measured even if they were perfect."
    ),
    "calibration_off": (
        "Nearly: stated probabilities and shares of right labels differ by {ece} on average, more than the {null} that "
        "chance alone would show."
    ),
    "calibration_unknown": "There is no text to tell this from.",
    "reliability_alt": (
        "Share of right labels against the stated probability, in groups of texts; perfect is the diagonal"
    ),
    "stated_probability": "Stated probability",
    "share_right": "Share that is right",
    "after_calibration": "calibrated",
    "before_calibration": "before calibration",
    "perfect": "perfect",
    "no_before": "Before calibration is not shown: no single model gave the probabilities.",
    "figure_accuracy": "Accuracy",
    "figure_macro_f1": "Macro-F1",
    "figure_auc": "AUC",
    "figure_log_loss": "Log loss",
    "figure_brier": "Brier score",
    "figure_ece": "Calibration error",
    "ece_null": "Calibration error of perfect probabilities",
    "explained_accuracy": "share of texts whose most probable label is right",
    "explained_macro_f1": "the same, each label counting alike",
    "explained_auc": "chance that a text of a label gets a higher probability for it than another text",
    "explained_log_loss": "less is better; punishes sure errors",
    "explained_brier": "less is better, 0 is perfect",
    "explained_ece": "mean distance of probability and share of right labels",
    "explained_ece_null": "what chance alone shows on so many texts",
    # 5 Risk and coverage.
    "risk": "Risk against coverage",
    "risk_intro": (
        "Answering more texts costs more errors. A lower line is better: fewer errors at the same share of answers. "
        "Each dot is where a way of deciding is used."
    ),
    "risk_alt": "Share of errors among the answers against the share of texts answered, for each way of deciding",
    "risk_axis": "Errors among the answers",
    "what_decides": "What decides",
    "curve_classifier": "this classifier",
    "curve_softmax": "plain softmax, not calibrated",
    "curve_baseline": "TF-IDF baseline",
    "mark_classifier": "This classifier, as it answers",
    "mark_softmax": "Plain softmax at 0.6",
    "accuracy_of_surest": "Right among the surest",
    # 6 Labels.
    "labels": "The labels",
    "labels_intro": (
        "Recall: of the texts of a label, the share that is found. Precision: of the texts that get a label, the share "
        "that is right. The last two columns are the answers as they are given."
    ),
    "search_labels": "Find a label",
    "recall": "Recall",
    "precision": "Precision",
    "confused": "The most confused pairs",
    "confusion_intro": (
        "True labels stand on the left, most probable ones at the top; labels that are confused with each other lie "
        "side by side. {shown} labels with errors are shown, {left_out} others are not."
    ),
    "confusion_alt": "Confused labels; the table below has the most frequent pairs",
    "cell": "{true}, taken for {best}: {rows}",
    "no_errors": "No test text got a wrong label.",
    "suspects": "Errors that may be wrong labels in the data",
    "suspects_intro": (
        "The model is sure of another label, and the nearest training texts have that label too. Check these rows by "
        "hand; they are counted from 1 among the test rows."
    ),
    "no_suspects": "None was found: no sure error whose nearest training texts have the other label too.",
    "label_in_data": "Label in the data",
    "label_of_model": "Label of the model",
    "first_rows": "First rows",
    # 7 Outside.
    "outside": "Texts that belong to no label",
    "gates": "Gates: texts that are never answered, and the price in in-scope texts",
    "gate": "Gate",
    "barred": "In-scope rows barred",
    "at_most": "At most",
    "caught": "Of {rows} out-of-scope rows kept aside, the gates stopped {n}: at least {low} of all such texts.",
    "caught_unknown": "How many texts of no label the gates stop is not known: none was among the rows kept aside.",
    "outside_measured": "Measured on {rows} out-of-scope test rows",
    "outside_recall": "Left to a person (recall)",
    "outside_auroc": "AUROC: told from in-scope texts by confidence",
    "outside_aupr": "AUPR, out-of-scope rows first",
    "outside_fpr95": "Answered where 95 % of in-scope texts are (FPR95)",
    "no_outside": "No test row is out of scope, so what happens to such texts was not measured on rows of yours.",
    "strangers": (
        "Of {n} built-in strange texts (weather, sports, greetings, other languages, random letters), {answered} would "
        "get a label. This is a measurement and no promise; some may belong to a label."
    ),
    "shares_caption": "The same threshold, if another share of the texts belongs to no label.",
    "worst_case": "Without such test rows the worst case is shown: all of them are answered.",
    "share_outside": "Share of such texts",
    # 8 More rows.
    "plan": "What more labelled rows would buy",
    "plan_certified": "The {rows} rows kept aside certify {target} at confidence level {level}.",
    "plan_more": (
        "The {rows} rows kept aside do not certify {target} at confidence level {level}. About {more} more would, if "
        "error rates stay as they are."
    ),
    "plan_useless": "More rows would not certify {target} at confidence level {level} for this model.",
    "plan_caption": "An estimate and no promise: it trusts the error rates of these rows.",
    "labelled_rows": "Rows to test on",
    "chance": "Chance of the promise",
    "expected_coverage": "Texts answered, expected",
    "no_plan": "The folder keeps no rows to estimate this from.",
    "slice": "By {name}",
    "slice_tokens": "length in tokens",
    "slice_truncated": "whether the text was cut",
    "value_of_slice": "Value",
    "rarer_values": "{n} rarer values together",
    "tokens_up": "up to {high}",
    "tokens_range": "{low} to {high}",
    "tokens_over": "more than {high}",
    # 9 Engines.
    "engines": "Engines, and whether the encoder is worth it",
    "worth": "Is the encoder worth it?",
    "worth_better": "Yes: {points} points more texts are right than with the baseline ({low} to {high} at 95 %).",
    "worth_worse": "No: {points} points fewer texts are right than with the baseline ({low} to {high} at 95 %).",
    "worth_open": "No difference is shown: {points} points, and {low} to {high} is possible at 95 %.",
    "encoder": "Encoder",
    "baseline": "TF-IDF baseline",
    "no_baseline": "There is no baseline to compare with.",
    "engine_choice": "How the engine was chosen",
    "engine_choice_intro": (
        "Each engine was compared with float32 on tune rows, and the fastest that is close enough was taken: {engine}."
    ),
    "engine": "Engine",
    "texts_per_second": "Texts per second",
    "other_best_label": "Another best label",
    "close_enough": "Close enough",
    # 10 Words, and how it was made.
    "glossary": "What these words mean, and how it was made",
    "word_label": "Label",
    "is_label": "One of the words that a text can be sorted under.",
    "word_other": "Other",
    "is_other": "No answer: the classifier is not sure, and leaves the text to a person.",
    "word_probability": "Probability",
    "is_probability": "How likely a label is right, from 0 to 1. Of texts with 0.9, nine in ten should be right.",
    "word_confidence": "Confidence",
    "is_confidence": "The number that decides whether a text is answered; often the probability of its best label.",
    "word_threshold": "Threshold",
    "is_threshold": "A text is answered when its confidence is at least this.",
    "word_coverage": "Texts answered (coverage)",
    "is_coverage": "The share of all texts that get a label.",
    "word_accuracy_when_answered": "Right when answered",
    "is_accuracy_when_answered": "The share of the answered texts whose label is right.",
    "word_promise": "Promise (certificate)",
    "is_promise": "A least accuracy of the answers, tested on labelled texts that were used for nothing else.",
    "word_confidence_level": "Confidence level",
    "is_confidence_level": "How often such a promise is true: at 95 %, at most one of 20 draws of test texts misleads.",
    "word_interval": "95 % interval",
    "is_interval": "Where the true value lies, as far as so many texts can tell.",
    "word_band": "Accuracy band",
    "is_band": "Promises for many thresholds that are all true together, so that one may choose after looking.",
    "word_calibrated": "Calibrated",
    "is_calibrated": "Probabilities that were corrected, so that they mean what they say.",
    "word_log_loss": "Log loss",
    "is_log_loss": "How surprised the probabilities are by the true labels. Less is better.",
    "word_auc": "AUC",
    "is_auc": "How well probabilities put right before wrong: 0.5 is chance, 1 is perfect.",
    "word_out_of_scope": "Out of scope",
    "is_out_of_scope": "A text that belongs to none of the labels.",
    "made": "How it was made",
    "made_encoder": "Encoder",
    "made_training": "Training",
    "made_splits": "Rows",
    "made_dropped": "Rows left out",
    "made_calibrator": "Calibrator",
    "made_score": "Confidence",
    "made_rule": "Rule",
    "made_engine": "Engine",
    "made_fingerprint": "Fingerprint of the engine",
    "made_data": "Hashes of the texts",
    "made_versions": "Versions",
    "commands": "Commands that make it again",
    "limits": "What is not promised",
    "limit_source": "The promise is about texts of the same source as the rows it was tested on.",
    "limit_drift": "When texts change, the promise ends: label some new ones now and then, and evaluate again.",
    "limit_threshold": "A threshold set by hand without --band carries no promise.",
    "limit_texts": "The promise is about all answers together, and not about a single text or label.",
    # The page of a comparison.
    "compare_title": "Comparison of text classifiers",
    "compare_subtitle": "On the same {rows} texts, row by row.",
    "compare_verdict": "The verdict",
    "compare_better": "{best} is better than {others}: {figures}.",
    "compare_open": "No difference is shown: {figures}.",
    "compare_none": "Which is better cannot be told: there is no in-scope row that every model can read.",
    "compare_by_right": (
        "It counts which texts are answered right, each model at the threshold of the promise that all make."
    ),
    "compare_by_accuracy": (
        "It counts which texts have the right most probable label: the models do not all make one promise."
    ),
    "compare_board": "All models, the best first",
    "compare_model": "Model",
    "compare_primary_right": "Answered right",
    "compare_primary_accuracy": "Accuracy",
    "compare_behind": "The best minus it",
    "compare_shown": "Shown",
    "compare_figures": "The same rows with each model",
    "compare_figures_intro": "Each figure has its own 95 % interval.",
    "compare_differences": "{a} minus {b}",
    "compare_difference": "Difference",
    "compare_p": "p, McNemar",
    "compare_pictures": "At equal coverage, and at equal accuracy",
    "compare_pictures_intro": (
        "Right among the surest texts, each model answering the same share of them; the table has the intervals."
    ),
    "compare_alt": "Accuracy of each model at equal coverage",
    "compare_labels": "Labels whose recall differs most",
    "compare_changed": "Texts that are decided differently",
    "compare_changed_intro": "{shown} of {rows} rows, counted from 1.",
    "compare_no_changed": "All texts are decided alike.",
    "compare_row": "Row",
    "compare_left_out": "Left out: {rows} rows with a label that some model lacks.",
    "compare_repeated": "{rows} rows repeat a text: the intervals are too narrow.",
    "compare_coverage": "Texts answered",
    "compare_wrong": "Answered wrong",
    "compare_at_accuracy": "Texts answered where {share} are right",
    "compare_at_coverage": "Right among the surest {share}",
}

"""Pages of HTML: one style, one base template, the words of a language, and a policy that forbids everything else.

kit = kit_of("report", script=("report.js",))           # style and script, and the policy that allows them alone
html = rendered(kit, "report.html", Words.of("tr"), data, title="...")
"""

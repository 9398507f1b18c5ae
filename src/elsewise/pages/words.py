"""Words and numbers of a page in one language, ready for HTML."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from markupsafe import Markup, escape

from elsewise.messages import REPORT_MESSAGES, messages, page_messages
from elsewise.messages.wording import shortened
from elsewise.metrics import CalibrationError, Estimate

LONGEST = 28  # letters of a label in a picture
ISOLATED = "\u2068{}\u2069"  # a label in Arabic does not turn the words around it
NOTHING = "\u2013"


@dataclass(frozen=True, slots=True)
class Words:
    """Templates and number format of a language.

    Examples
    --------
    >>> words = Words.of("tr")
    >>> words.share(0.9543), words.count(12345), words.number(0.25, 2)
    ('%95,4', '12.345', '0,25')
    """

    language: str
    templates: Mapping[str, str]
    form: Mapping[str, str]

    @classmethod
    def of(cls, language: str, catalogue: Mapping[str, Mapping[str, str]] = REPORT_MESSAGES) -> Self:
        """Take the words of a language; InputError, listing the languages, for an unknown one."""
        return cls(language, page_messages(language, catalogue), messages(language))

    def __call__(self, name: str, /, **values: Any) -> Markup:
        """Write a template as HTML; values are escaped unless they are HTML already."""
        return Markup(escape(self.templates[name])).format(**values)  # noqa: S704  the template is ours, and escaped

    def has(self, name: str) -> bool:
        """Tell whether there is such a template."""
        return name in self.templates

    def number(self, value: float | None, digits: int = 3) -> str:
        """Write a number with its decimals; a dash for none, a word for infinity."""
        if value is None or math.isnan(value):
            return NOTHING
        if math.isinf(value):
            return self.templates["infinite" if value > 0 else "minus_infinite"]
        return self._localised(f"{value:,.{digits}f}")

    def count(self, value: int) -> str:
        """Write a whole number with marks between thousands."""
        return self._localised(f"{value:,}")

    def share(self, value: float | None, digits: int = 1) -> str:
        """Write a share in percent."""
        if value is None or math.isnan(value):
            return NOTHING
        return self._percent(f"{100 * value:.{digits}f}")

    def promise(self, value: float) -> str:
        """Write a promised share in percent, rounded down, without decimals of 0.

        Examples
        --------
        >>> Words.of("tr").promise(0.95), Words.of("tr").promise(0.95456)
        ('%95', '%95,4')
        """
        return self._percent(f"{math.floor(1000 * value + 1e-9) / 10:g}")

    def tick(self, value: float) -> str:
        """Write a round share in percent, at the tick of an axis."""
        return self._percent(f"{100 * value:g}")

    def _percent(self, written: str) -> str:
        return self.form["percent"].replace(" ", "\u00a0").format(number=self._localised(written))

    def interval(self, figure: Estimate | CalibrationError, *, percent: bool = False) -> str:
        """Write the ends of an interval."""
        if math.isnan(figure.value):
            return NOTHING
        write = self.share if percent else self.number
        return str(self("interval", low=write(figure.low), high=write(figure.high)))

    def label(self, name: str) -> Markup:
        """Write somebody's words apart from the text around them, whatever their direction."""
        return Markup("<bdi>{}</bdi>").format(name)

    def short(self, name: str) -> str:
        """Write a label for a picture: on one line, cut if it is long, in its own direction."""
        return ISOLATED.format(shortened(name, LONGEST))

    def _localised(self, written: str) -> str:
        marks = {",": self.form["thousands"], ".": self.form["decimal"]}
        return "".join(marks.get(letter, letter) for letter in written)

"""The wordings of edit instructions: a regular expression each, and the action that its groups go to."""

from __future__ import annotations

import re

import fantascope.prompt.instruct.actions as actions
import fantascope.prompt.instruct.additions as additions
import fantascope.prompt.instruct.aspects as aspects
from fantascope.prompt.instruct.aspects import Action

_WANT = (
    r"(?:i(?: would|'d)? (?:want|like|love|need|prefer|rather have|rather see|wish for|"
    r"wanna have)|i'd rather have|let's have|let's see|give me|show me|use|what about|"
    r"how about|have|let it be|can (?:we|i|you) (?:have|get)|could (?:we|i) (?:have|"
    r"get))(?: to (?:see|have))?"
)
_CHANGE = (
    r"(?:change|turn|transform|convert|switch|swap|replace|exchange|alter|modify|morph|"
    r"make|trade|substitute|recolou?r|colou?r|redo|edit|adjust|update|set|shift)"
)
_BECOME = (
    r"(?:(?:should|must|could|can|shall|would|will|might|ought to|needs? to|has to|"
    r"have to|is to) (?:rather |please |now )?(?:be(?:come)?|look|feel|turn(?: in)?to|"
    r"have become|get|change (?:in)?to)|becomes|turns into|is now|to be(?:come)?|to turn into|"
    r"be(?:come)?|was|were|is replaced (?:by|with)|(?:be )?replaced (?:by|with)|would (?:look|"
    r"be) (?:much |far |a lot )?(?:better|nicer|good|great|cool|best)(?: in| as)?)"
)

PATTERNS: tuple[tuple[str, Action], ...] = (
    (r"(?:the )?(?P<x>background|style|light(?:ing)?|time|weather|season|mood)\s*[:=]\s*(?P<y>.+)", actions.assign),
    (
        r"(?P<y>brighten|lighten|darken|dim|warm|cool)(?: up| down)?(?: (?P<x>.+?))??(?: up| down)?"
        r"(?: a (?:bit|little|touch))?",
        actions.lighten,
    ),
    (
        r"(?:show|set|put|place|have|make|render|draw|paint|see) "
        r"(?:it|this|everything|(?:the |this )?(?:whole )?(?:picture|image|scene)) "
        r"(?P<y>(?:at|on|under|during|in|by) .+)",
        actions.whole,
    ),
    (r"(?:it|this|(?:the|this) (?:picture|image|scene)) (?:needs|could use|wants) (?:some )?(?P<y>.+)", actions.whole),
    (
        r"(?:make (?:it|that|this)|i want|have|let's have)?\s*(?P<y>(?:\d+|[a-z]+) .+?) (?:instead of|"
        r"rather than|not) (?:\d+|[a-z]+)(?: of them)?",
        actions.count,
    ),
    (
        r"(?P<verb>give) (?:him|her|it|them|the \w+) (?P<y>.+?) (?:instead of|rather than|"
        r"in place of) (?P<x>.+)",
        actions.assign,
    ),
    (
        r"let (?:the \w+|him|her|it|them) (?P<verb>have|hold|wear|carry) (?P<y>.+?) (?:instead of|"
        r"rather than|in place of) (?P<x>.+)",
        actions.assign,
    ),
    (r"substitute (?P<y>.+?) for (?P<x>.+)", actions.assign),
    (r"(?:no|not) (?P<x>[\w ]+?),? (?:but )?(?P<y>an? .+|some .+)", actions.no_but),
    (
        r"(?:reduce|increase|change|set|bring|raise|lower) (?P<x>the (?:number|amount) of .+?) to (?P<y>\w+)",
        actions.assign,
    ),
    (r"(?P<n>\w+) (?:less|fewer) (?P<x>.+)", additions.less),
    (r"(?P<n>\w+) (?P<x>.+) (?:less|fewer)", additions.less),
    (r"(?:(?P<x>.+) (?:is|are|looks?) )?(?:a bit |a little |much |way |far )?too (?P<y>\w+)", actions.too),
    (
        r"(?P<y>sketch|cartoon|pixel|water ?colou?r) (?:it|this|that|everything|the (?:picture|"
        r"scene|image))",
        actions.whole,
    ),
    (
        rf"(?:{_WANT} |make (?:it|this|that) |put (?:in )?|there should be |place )?(?P<y>.+?) (?:instead of|"
        r"rather than|in place of|in lieu of) (?P<x>.+)",
        actions.assign,
    ),
    (
        rf"(?:instead of|rather than|in place of) (?P<x>.+?)(?:,? (?:{_WANT}|put|make (?:it|"
        r"that)|there should be|show|use|draw|add|paint|have)|,) (?P<y>.+)",
        actions.assign,
    ),
    (rf"(?:{_WANT} |put |place |draw )?(?P<y>.+?) where (?P<x>the .+?) (?:is|was|are|were)", actions.assign),
    (r"not (?:an? |the )?(?P<x>.+?),? but (?P<y>.+)", actions.assign),
    (rf"{_CHANGE} (?P<x>.+?) from (?:.+?) (?:in)?to (?P<y>.+)", actions.assign),
    (
        r"(?:make|let|have|get) (?P<verb>the (?:scene|picture|image)|this (?:scene|picture|"
        r"image)|it|this|everything) (?:feel|look|appear|seem)(?: like)? (?P<y>.+)",
        actions.feel,
    ),
    (
        r"(?:change|turn|convert|transform|set|switch|make|render|draw|paint|redraw|redo|"
        r"repaint|recreate|do|show|style|restyle|process|present|depict|display)(?: (?:it|"
        r"this|that|everything|(?:the |this )?(?:whole |entire )?(?:picture|image|scene|"
        r"photo|thing)|them))? (?:to look like |look like |in(?:to)? (?=the style of)|"
        r"in(?:to)? |as |like |with |using |to )(?P<y>.+)",
        actions.whole,
    ),
    (r"(?:remove|take|delete) (?P<x>(?:one|two|three|\d+) (?:of the )?.+)", additions.remove),
    (rf"{_CHANGE} (?P<x>.+?) (?:in to|into|to become|to be|to|with|for|by|as) (?P<y>.+)", actions.assign),
    (
        r"(?P<verb>enlarge|grow|blow up|increase|magnify|shrink|reduce|decrease)(?: the size of)? (?P<x>.+?)",
        actions.resize,
    ),
    (r"(?P<verb>scale|size) (?P<x>.+?) (?P<way>up|down)", actions.resize),
    (r"(?P<verb>scale|size) (?P<way>up|down) (?P<x>.+?)", actions.resize),
    (r"(?:cent(?:er|re)) (?P<x>.+)", actions.centre),
    (
        r"(?:there (?:should|shall|must|can|could|needs to) be|i (?:want|need)|have|show) (?:no|"
        r"not any|no more) (?P<x>.+)",
        additions.remove,
    ),
    (
        r"(?:remove|delete|erase|drop|lose|hide|discard|eliminate|clear|cut|omit|exclude|"
        r"ditch|scrap|kill|wipe|dump|strip|subtract|get rid of|getting rid of|rid of|take away|"
        r"take out|take off|leave out|leave off|cut out|edit out|throw out|throw away|"
        r"do away with|without|no more|no|minus) (?P<x>.+)",
        additions.remove,
    ),
    (
        r"(?:take|get|have|pull|cut) (?P<x>.+?) (?:away|out|off|removed|deleted|erased|"
        r"out of .+|off of .+|off (?:the|its|his|her) .+)",
        additions.remove,
    ),
    (r"(?:make|let|have) (?P<x>.+?) (?:disappear|vanish|go|go away|gone|invisible)", additions.remove),
    (
        r"(?P<x>.+?) (?:has|have|needs|need|must|should|can) (?:to )?(?:go(?: away)?|disappear|"
        r"vanish|be removed|be gone|be deleted|leave)",
        additions.remove,
    ),
    (r"i (?:do not|don't|dont) (?:want|like|need)(?: to see| to have)? (?P<x>.+)", additions.remove),
    (
        rf"(?:{_WANT} |do |keep |the )?(?:it|this|that|everything|(?:same|the same)?\s*(?:picture|"
        r"image|scene|thing)|the same)?,? ?(?:but |just )?(?:without|with no|minus) (?P<x>.+)",
        additions.remove,
    ),
    (r"(?P<verb>paint|colou?r|recolou?r|dye|tint|turn|spray) (?P<rest>.+)", actions.make),
    (
        r"(?:bring|move|shift|push|slide|drag|relocate|nudge|pull|send|put|place|set|position|"
        r"shove) (?P<x>(?:the|this|that|it|them|him|her|its|his)\b.*?) (?P<y>(?:(?:over |"
        r"further |more |all the way |closer )*(?:to|on|at|in|into|onto|towards?|next to|"
        r"beside|behind|under|underneath|beneath|below|above|over|near|in front of|on top of|"
        r"against|by|left of|right of)\b.+)|up|down|left|right|higher|lower|backwards?|"
        r"forwards?|upwards|downwards|back)",
        additions.move,
    ),
    (r"(?:take|bring) (?P<x>it|them|him|her|the .+?) (?P<y>(?:to|into|onto) .+)", additions.move),
    (
        r"(?:bring|move|shift|push|slide|drag) (?P<x>.+?) (?P<y>(?:to|on|at|in|into|onto|"
        r"towards?|next to|beside|behind|under|above|near)\b.+|up|down|left|right|higher|"
        r"lower|back)",
        additions.move,
    ),
    (r"give (?P<rest>.+)", additions.give),
    (r"let (?P<x>.+?) (?P<verb>have|wear|hold|carry) (?P<y>.+)", additions.given),
    (
        r"(?:add|(?:paint|sketch)(?= (?:an?|some|two|three) )|put|place|"
        r"insert|include|draw|stick|throw in|drop in|append|attach|introduce|"
        r"bring in|pop|plant|hang|paste|position|set) (?P<y>.+)",
        additions.add,
    ),
    (
        r"(?:there (?:should|shall|must|could|can|needs to|has to) (?:also )?be|let there be|"
        r"there(?: i|')s|there are) (?P<y>.+)",
        additions.there_be,
    ),
    (r"(?:make|have|let|get|keep) (?P<rest>.+)", actions.make),
    (
        r"(?P<x>.+?) (?:should|must|could|shall|needs to|ought to) (?:wear|have|hold|carry|"
        r"get) (?P<y>.+)",
        additions.given,
    ),
    (
        r"(?:could|can|should|must|shall|would|will|may) (?P<x>.+?) (?:be|become|look|"
        r"turn) (?P<y>.+)",
        actions.assign,
    ),
    (rf"(?:what if |how about |{_WANT} )?(?P<x>.+?) {_BECOME} (?P<y>.+)", actions.assign),
    (
        r"(?:could|can|should|must|shall|would|will|may) (?P<x>.+?) (?:be|become|look|"
        r"turn) (?P<y>.+)",
        actions.assign,
    ),
    (
        r"(?:could|can) (?:we|i|you|it) (?:also |please )?(?:have|get|see|show|include) (?:also )?(?P<y>.+)",
        additions.ask_for,
    ),
    (r"(?:only|just|exactly|no more than|make (?:that|it)) (?P<y>.+)", actions.count),
    (r"(?:only|just|exactly) (?P<y>.+)", actions.want),
    (r"(?P<y>(?:another|(?:\w+ (?:more|extra|additional))) .+)", additions.add),
    (rf"(?P<sure>{_WANT}) (?P<x>the .+?) (?P<y>(?:in|on|at|to) .+|bigger|smaller|larger)", actions.placed),
    (r"(?P<x>the .+?) (?:in|to|as) (?P<y>.+)", aspects.recolour),
    (r"(?P<x>(?:the|it) ?.*?) (?P<y>(?:on|at|in|to) (?:the )?.+|bigger|smaller|larger)", actions.placed),
    (rf"(?P<sure>{_WANT}|show|draw|also|with|plus|and) (?P<y>.+)", actions.want),
    (r"(?:it(?: i|')s|it is|let it(?: be)?|it should(?: be)?) (?P<y>.+)", actions.whole),
    (r"(?:in|as|at|on|with|like) (?P<y>.+)", actions.want),
    (r"(?P<y>.+)", actions.want),
)  # fmt: skip

COMPILED = tuple((re.compile(pattern, re.IGNORECASE), action) for pattern, action in PATTERNS)

NO_WISH = re.compile(
    r"(?:.*\b(?:except|apart from|other than|all but|keep only|unless)\b.*)|"
    r"(?:do not|don't|dont|never|stop|why|who|where|when|which|what (?:is|are|does|do)|how (?:do|does|can|many|"
    r"much|come)|"
    r"is|are|does|did|was|i like|i love)\b(?! want|.* instead\b)",
    re.IGNORECASE,
)
"""Questions, praise and what shall not be done are no edits."""

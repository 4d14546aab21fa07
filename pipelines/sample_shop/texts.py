"""What people type and write: queries, reviews, messages; in Chinese and English."""

from dataclasses import dataclass

import numpy as np

from .catalogue import Catalogue, Product
from .goods import ASPECTS, BRANDS, CATEGORIES, COLOURS, STYLES

# aspect → language → (praise, blame); languages: 0 Chinese, 1 English.
_PHRASES: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "quality": (
        (
            "质量很好|做工精细|用了一个月还跟新的一样|手感扎实|比想象中结实",
            "做工粗糙|用了三天就坏了|有明显的线头和划痕|掉色严重|质感很廉价",
        ),
        (
            "very well made|feels solid|still like new after a month|the finish is lovely|sturdier than hoped",
            "it broke after three days|poorly finished|the colour came off|it was scratched|feels flimsy",
        ),
    ),
    "price": (
        (
            "性价比高|价格实惠|活动价很划算|这个价钱值了",
            "太贵了|不值这个价|买完第二天就降价|同样的别家便宜一半",
        ),
        (
            "great value|worth every yuan|a bargain in the sale|cheaper than elsewhere",
            "overpriced|not worth the money|the price dropped a day later|half the price elsewhere",
        ),
    ),
    "size": (
        ("大小正合适|尺寸标准|和描述的尺寸一致", "偏小一码|尺寸和描述不符|比图片上小很多|太大了不能用"),
        (
            "fits perfectly|just the right size|true to the size chart",
            "runs small|much smaller than in the picture|too big for me|the measurements are wrong",
        ),
    ),
    "delivery": (
        ("物流很快|第二天就到了|快递小哥态度很好", "等了十天才到|物流太慢|送错地址了|快递一直不更新"),
        (
            "arrived the next day|fast shipping|the courier was friendly",
            "took ten days to arrive|left at the wrong door|tracking never updated|slow shipping",
        ),
    ),
    "service": (
        ("客服很耐心|售后处理很快|卖家态度好", "客服不理人|退换货太麻烦|客服推来推去"),
        (
            "support was helpful|the seller answered at once|an easy exchange",
            "nobody answers|returning it was a pain|support kept passing me around",
        ),
    ),
    "packaging": (
        ("包装很用心|盒子漂亮适合送礼|包裹得很严实", "包装破了|盒子压扁了|连个保护袋都没有"),
        (
            "nicely wrapped|the box makes it a good present|carefully packed",
            "the box was crushed|no padding at all|came in a torn bag",
        ),
    ),
}
_FILLERS = (
    (
        "给家里人买的|第二次回购了|看了很久才下单|朋友推荐的|上班路上用|颜色很喜欢|图片和实物差不多",
        "，",
        "。",
    ),
    (
        "bought it for my sister|my second one|a friend told me about it|I use it every day|as in the photos"
        "|I waited for the sale|the colour is what I wanted",
        ", ",
        ".",
    ),
)
_VERDICTS = (
    ["再也不买了", "有点失望", "一般般", "挺好的", "非常满意，强烈推荐"],
    ["never again", "a bit disappointed", "it is okay", "pretty good", "love it, highly recommended"],
)
_ASKS = (
    "这款有现货吗|请问还有别的颜色吗|尺码怎么选|什么时候发货|可以开发票吗|支持七天无理由退货吗",
    "Is this in stock|Does it come in other colours|Which size should I take|When will it ship"
    "|Can I get an invoice|Can I send it back",
)
_ANSWERS = (
    "有的，今天下单明天发|我买的是正常码，刚好|颜色比图片深一点|客服说周五补货|用了半年没问题",
    "Yes, it shipped the next day|I took my usual size and it fits|a little darker than in the picture"
    "|restocked on Friday they say|half a year and no problem",
)
_CHATS = (
    "在吗|好的谢谢|帮我看看优惠券能不能用|这个和上次那个哪个好|麻烦改一下地址|送朋友的，麻烦写张卡片",
    "Hello, anyone there|Thanks a lot|Can I use my coupon on this|Which of the two is better"
    "|Please change the address|It is a present, please add a card",
)
_SOCIALS = (
    "新入手的{thing}，今日份快乐|周末出门带上{thing}|求推荐好看的{thing}|被种草了这个{thing}",
    "my new {thing} made my day|taking the {thing} out this weekend|any {thing} you can recommend"
    "|want this {thing} so much",
)
_COMPLAINTS = (
    "{thing}坏了，要求退款|订单一直没有发货|收到的{thing}颜色发错了|退货的钱什么时候到",
    "My {thing} broke, I want a refund|My order has not shipped|I got the {thing} in the wrong colour"
    "|When do I get my money back",
)
_FORMS = {"question": _ASKS, "answer": _ANSWERS, "chat": _CHATS, "social": _SOCIALS, "service": _COMPLAINTS}
_CLEAR = 0.3  # a leaning beyond this is positive or negative, between them mixed
CONTACTS = (
    "邮箱 li.wei{n}@example.com",
    "call me on 138{n:08d}",
    "mail me: shopper{n}@example.org",
    "手机 139{n:08d}",
)


def queries(catalogue: Catalogue) -> list[str]:
    """All query texts, at index (product × 2 + language) × QUERY_FORMS + form; language 0 is Chinese."""
    return [text for product in catalogue.products for texts in _queries_for(product) for text in texts]


def _queries_for(product: Product) -> tuple[tuple[str, ...], tuple[str, ...]]:
    thing, brand, style = product.thing, BRANDS[product.brand], STYLES[product.style]
    colour, category = COLOURS[product.colour], CATEGORIES[product.category]
    zh = (
        thing.zh,
        colour.zh + thing.zh,
        f"{brand.zh} {thing.zh}",
        f"{style.zh} {thing.zh}",
        f"{category.zh} {style.zh}",
    )
    en = (
        thing.en, f"{colour.en} {thing.en}", f"{brand.en} {thing.en}", f"{style.en} {thing.en}",
        f"{style.en} {category.en}",
    )  # fmt: skip
    return zh, en


def _one(rng: np.random.Generator, choices: str | list[str]) -> str:
    options = choices.split("|") if isinstance(choices, str) else choices
    return options[int(rng.integers(len(options)))]


def review_rating(catalogue: Catalogue, product: int, harshness: float, rng: np.random.Generator) -> int:
    """1 to 5 stars: the product's true quality, the person's harshness, and noise."""
    mood = 3.7 + 1.5 * float(catalogue.aspects[product].mean()) - harshness + float(rng.normal(0, 0.8))
    return int(min(5, max(1, round(mood))))


@dataclass(frozen=True)
class Said:
    """A review's words and what was meant by them."""

    title: str
    text: str
    praised: tuple[str, ...]
    blamed: tuple[str, ...]
    leaning: float  # -1 (all bad) to 1 (all good), of what the text says

    @property
    def sentiment(self) -> str:
        return "positive" if self.leaning > _CLEAR else "negative" if self.leaning < -_CLEAR else "mixed"


def review_text(catalogue: Catalogue, product: int, rating: int, language: int, rng: np.random.Generator) -> Said:
    """A review: aspects praised or blamed as they are, mostly in line with the stars."""
    comma, stop = _FILLERS[language][1:]
    said: list[str] = []
    named: tuple[list[str], list[str]] = ([], [])  # praised, blamed
    for aspect in rng.permutation(len(ASPECTS))[: int(rng.integers(1, 4))].tolist():
        lean = float(catalogue.aspects[product, aspect]) + 0.8 * (rating - 3) + float(rng.normal(0, 0.4))
        side = 0 if lean > 0 else 1
        named[side].append(ASPECTS[aspect])
        said.append(_one(rng, _PHRASES[ASPECTS[aspect]][language][side]))
    weights = [1.0] * len(named[0]) + [-1.0] * len(named[1])
    if rng.random() < 0.4:
        said.insert(int(rng.integers(len(said) + 1)), _one(rng, _FILLERS[language][0]))
    verdict = _VERDICTS[language][rating - 1]
    if rng.random() < 0.6:
        said.append(verdict)
        weights.append((rating - 3) / 2)
    leaning = sum(weights) / len(weights)
    return Said(verdict, comma.join(said) + stop, tuple(named[0]), tuple(named[1]), leaning)


def message_text(kind: str, product: Product, language: int, rng: np.random.Generator) -> str:
    """A short message of a kind (question, answer, chat, social, service)."""
    thing = product.thing.en if language else product.thing.zh
    text = _one(rng, _FORMS[kind][language]).format(thing=thing)
    ending = ("？", "?") if kind == "question" else ("。", ".")
    return text + ending[language]


def contact(rng: np.random.Generator) -> str:
    """A made-up e-mail address or telephone number, such as people leave in texts."""
    return _one(rng, list(CONTACTS)).format(n=int(rng.integers(10_000, 99_999_999)))

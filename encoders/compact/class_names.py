"""Names of the labelled photos' classes: label -> (Chinese, English)."""

CLOTHING: dict[str, tuple[str, str]] = {
    "dress": ("连衣裙", "dress"),
    "hat": ("帽子", "hat"),
    "longsleeve": ("长袖衫", "long-sleeve shirt"),
    "outwear": ("外套", "jacket"),
    "pants": ("长裤", "pants"),
    "shirt": ("衬衫", "button-up shirt"),
    "shoes": ("鞋子", "shoes"),
    "shorts": ("短裤", "shorts"),
    "skirt": ("半身裙", "skirt"),
    "t-shirt": ("短袖T恤", "t-shirt"),
}

GROCERY: dict[str, tuple[str, str]] = {
    "Apple": ("苹果", "apple"),
    "Asparagus": ("芦笋", "asparagus"),
    "Aubergine": ("茄子", "aubergine"),
    "Avocado": ("牛油果", "avocado"),
    "Banana": ("香蕉", "banana"),
    "Cabbage": ("卷心菜", "cabbage"),
    "Carrots": ("胡萝卜", "carrots"),
    "Cucumber": ("黄瓜", "cucumber"),
    "Garlic": ("大蒜", "garlic"),
    "Ginger": ("生姜", "ginger"),
    "Juice": ("果汁", "juice"),
    "Kiwi": ("猕猴桃", "kiwi fruit"),
    "Leek": ("韭葱", "leek"),
    "Lemon": ("柠檬", "lemon"),
    "Lime": ("青柠", "lime"),
    "Mango": ("芒果", "mango"),
    "Melon": ("甜瓜", "melon"),
    "Milk": ("牛奶", "milk"),
    "Mushroom": ("蘑菇", "mushroom"),
    "Nectarine": ("油桃", "nectarine"),
    "Oat-Milk": ("燕麦奶", "oat milk"),
    "Oatghurt": ("燕麦酸奶", "oat yoghurt"),
    "Onion": ("洋葱", "onion"),
    "Orange": ("橙子", "orange"),
    "Papaya": ("木瓜", "papaya"),
    "Passion-Fruit": ("百香果", "passion fruit"),
    "Peach": ("桃子", "peach"),
    "Pear": ("梨", "pear"),
    "Pepper": ("甜椒", "bell pepper"),
    "Pineapple": ("菠萝", "pineapple"),
    "Plum": ("李子", "plum"),
    "Pomegranate": ("石榴", "pomegranate"),
    "Potato": ("土豆", "potato"),
    "Red-Beet": ("红甜菜", "beetroot"),
    "Red-Grapefruit": ("红西柚", "red grapefruit"),
    "Satsumas": ("蜜橘", "satsuma"),
    "Sour-Cream": ("酸奶油", "sour cream"),
    "Sour-Milk": ("发酵酸牛奶", "sour milk"),
    "Soy-Milk": ("豆奶", "soy milk"),
    "Soyghurt": ("大豆酸奶", "soy yoghurt"),
    "Tomato": ("番茄", "tomato"),
    "Yoghurt": ("酸奶", "yoghurt"),
    "Zucchini": ("西葫芦", "zucchini"),
}

TEMPLATES: tuple[tuple[str, str], ...] = (
    ("{}", "{}"),
    ("一张{}的照片", "a photo of {}"),
    ("新款{}", "new {}"),
    ("红色{}", "red {}"),
    ("黑色{}", "black {}"),
    ("白色{}", "white {}"),
    ("便宜的{}", "cheap {}"),
)
"""Phrases a shop or a searching user puts around a class name."""

CLASSES = {"clothing": CLOTHING, "grocery": GROCERY}
"""The groups of labelled photos."""

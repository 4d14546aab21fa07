"""What features are about."""

from feast import Entity, ValueType

OWNER = "profile-team@shop.example"

user = Entity(
    name="user",
    join_keys=["user_id"],
    value_type=ValueType.STRING,
    description="A user of the shop, or an anonymous device; the key is what the identity seam made of the shop's id.",
    owner=OWNER,
)

product = Entity(
    name="product",
    join_keys=["product_id"],
    value_type=ValueType.STRING,
    description="A product, by the shop's own id.",
    owner=OWNER,
)

"""The contract of `customer-reviews`."""

from pipelines.contracts.contract import Event, contract
from pipelines.contracts.fields import boolean_field, enum_field, integer_field, text_field


class CustomerReviews(Event):
    """A customer's word on a product or a film."""

    event_type = enum_field("what happened", ("review",))
    review_id = text_field("the review")
    customer_id = text_field("who wrote it")
    product_id = text_field("the product reviewed, unless a title is", optional=True)
    title_id = text_field("the title reviewed, unless a product is", optional=True)
    rating = integer_field("stars", minimum=1, maximum=5)
    review_text = text_field("the words", optional=True)
    verified_purchase = boolean_field("the reviewer bought it here")
    helpful_votes = integer_field("readers it helped", minimum=0, optional=True)


CONTRACT = contract("customer-reviews", "customer_id", CustomerReviews, one_of=("product_id", "title_id"))

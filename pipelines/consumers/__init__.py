"""What learns from the features and shows what they are worth: next purchase, churn, ad click."""

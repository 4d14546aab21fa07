"""What `feast apply` in this folder registers: the live releases of the home that MMFS_HOME names.

Feast takes the objects it finds as attributes of the modules here.
"""

from entities import product, user
from services import feature_services
from views import feature_views

from pipelines.releases.model_uris import model_uris
from pipelines.releases.pin import default_release, live_releases
from pipelines.settings import load_settings

__all__ = ["product", "user"]

_settings = load_settings()
_releases = live_releases(_settings)
_models = model_uris(_settings)
_views = feature_views(_releases, _settings.under_home(), _models)

_services = feature_services(_releases, default_release(_settings), _views, _models)

globals().update(_views)
globals().update({f"{name}_service": service for name, service in _services.items()})

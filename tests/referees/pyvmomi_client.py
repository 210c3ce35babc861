"""How the referees use pyVmomi: a verified login, and bulk reads through a container view.

The reading is the plainest good way: one RetrievePropertiesEx over a recursive view, following the token.
"""

from contextlib import contextmanager

from pyVim.connect import Disconnect, SmartConnect
from pyVmomi import vmodl

Collector = vmodl.query.PropertyCollector


@contextmanager
def connected(target):
    """The service instance, logged out at the end. Without a context of our own pyVmomi skips verification on loopback."""
    service = SmartConnect(
        host=target.host, port=target.port, path=target.path, user=target.username, pwd=target.password, sslContext=target.tls()
    )
    try:
        yield service
    finally:
        Disconnect(service)


def retrieve(service, paths):
    """The ObjectContent of every object of the types in paths: {type: [path]}."""
    content = service.RetrieveContent()
    view = content.viewManager.CreateContainerView(content.rootFolder, list(paths), True)
    try:
        spec = Collector.FilterSpec(
            objectSet=[
                Collector.ObjectSpec(
                    obj=view,
                    skip=True,
                    selectSet=[Collector.TraversalSpec(type=type(view), path="view", skip=False)],
                )
            ],
            propSet=[Collector.PropertySpec(type=kind, pathSet=wanted, all=False) for kind, wanted in paths.items()],
        )
        page = content.propertyCollector.RetrievePropertiesEx([spec], Collector.RetrieveOptions())
        while page is not None:
            yield from page.objects
            page = content.propertyCollector.ContinueRetrievePropertiesEx(page.token) if page.token else None
    finally:
        view.DestroyView()

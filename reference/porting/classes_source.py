"""The Python source of a port's methods for probabilities and classes."""

from __future__ import annotations

from harness.text.python import quoted
from reference.rds.fit import FittedNet

OF_TWO = '''\

    def probabilities(self, x):
        """Return the probability of each class (rows, 2), in the order of CLASSES; forward() gives
        that of the second, as predict(type="raw") does.
        """
        p = self(x)
        return torch.cat([1 - p, p], dim=1)
'''
OF_MANY = '''\

    def probabilities(self, x):
        """Return the probability of each class (rows, classes), as forward() does."""
        return self(x)
'''
CLASS_OF_TWO = '''\

    @torch.no_grad()
    def classes(self, x):
        """Return the name of each row's class: the second one beyond one half, as
        predict(type="class"). A row with a missing value has None.
        """
        names = []
        for p in self(x)[:, 0].tolist():
            names.append(None if p != p else CLASSES[p > 0.5])
        return names
'''
CLASS_OF_MANY = '''\

    @torch.no_grad()
    def classes(self, x):
        """Return the name of each row's most probable class. A row with a missing value has None.

        R's predict(type="class") draws one of those within 1e-5 of the largest. The first of the
        largest is taken here, with a warning.
        """
        p = self(x)
        largest, places = p.max(dim=1)
        ties = (p >= (1 - 1e-5) * largest[:, None]).sum(dim=1) > 1
        if ties.any():
            warnings.warn(f"{int(ties.sum())} rows have a tie, in which R draws the class")
        names = []
        for place, is_known in zip(places.tolist(), (largest == largest).tolist()):
            names.append(CLASSES[place] if is_known else None)
        return names
'''


def takes_probabilities(net: FittedNet) -> bool:
    """Does a port (the written PyTorch module) have a method probabilities(), with one for each
    class and the sum 1?
    """
    return net.topology.output == "softmax" or len(net.classes) == 2


def write_classes(net: FittedNet) -> str:
    """Return the source of the methods; "" if the fit is no classification."""
    if not takes_probabilities(net):
        return ""
    if net.topology.outputs == 1:
        return OF_TWO + CLASS_OF_TWO
    return OF_MANY + (CLASS_OF_MANY if net.classes else "")


def write_names(net: FittedNet) -> list[str]:
    """Return the line that names the classes, if they have names."""
    if not net.classes or not takes_probabilities(net):
        return []
    names = [quoted(name) for name in net.classes]
    line = f"CLASSES = ({', '.join(names)})"
    if len(line) < 100:
        return [line, ""]
    return ["CLASSES = (", *(f"    {name}," for name in names), ")", ""]


def draws_classes(net: FittedNet) -> bool:
    """Does the module warn that R draws the class of a row at random if the most probable classes
    are tied?
    """
    return bool(net.classes) and net.topology.outputs > 1

"""An account that answers with the documents of its state, or with what stands in their place."""

from tests.faults.answers.documents import documents
from tests.faults.answers.wire import answer_of, error_answer, tree_of


class Account:
    """The account's answers; ``spoil`` puts others in the place of some."""

    def __init__(self, state):
        self.state = state
        self.documents = documents(state)
        self._answers = {}
        self._spoilt = {}

    def spoil(self, key, page, answer):
        """Answer the ``page``-th call to ``key`` (action, region, name) with this instead."""
        self._spoilt[key, page] = answer

    def mend(self, key, page):
        """Undo ``spoil``."""
        del self._spoilt[key, page]

    def __repr__(self):
        spoilt = "".join(f"\n  {place}: {answer}" for place, answer in self._spoilt.items())
        return f"Account({self.state}){spoilt}"

    @property
    def actions(self):
        """The actions that this account answers."""
        return {action for action, _, _ in self.documents}

    @property
    def spoilt(self):
        """The answers that stand in the place of others."""
        return list(self._spoilt.values())

    def place_of(self, request):
        """The key and the page that answer a request."""
        for key in (
            (request.action, request.region, None),
            (request.action, None, request.name),
            (request.action, None, None),
        ):
            if key in self.documents:
                count = len(self.documents[key])
                break
        else:
            return None, 0
        number = int(request.token) if str(request.token).isdigit() else 1
        page = number - 1 if request.token is None or number <= count else count - 1
        return key, min(page, count - 1)

    def answer(self, request):
        key, page = self.place_of(request)
        if key is None:
            return error_answer(request.action, "OptInRequired", status=403)
        regional = (request.action, request.region, request.name)
        for place in ((key, page), (regional, page)):
            if place in self._spoilt:
                return self._spoilt[place]
        if (key, page) not in self._answers:
            self._answers[key, page] = whole(key[0], self.documents[key][page])
        return self._answers[key, page]


def whole(action, document):
    """The unspoilt answer."""
    if isinstance(document, str):
        return error_answer(action, document, status=404)
    return answer_of(action, tree_of(action, document))

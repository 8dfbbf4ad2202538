"""scikit-learn, and the same classes as Intel's extension has them."""

from . import Peer
from .timing import each_call


class ScikitLearn(Peer):
    def estimator(self):
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier

    def load(self):
        self.estimator()

    def fit(self):
        forest = self.forest
        self.model = self.estimator()(
            n_estimators=forest.trees, max_depth=forest.depth, n_jobs=forest.threads, random_state=forest.seed
        )
        self.model.fit(self.data.x_train, self.data.y_train)

    def probabilities(self, x):
        return self.model.predict_proba(x)

    def one_row(self, rows, seconds):
        self.model.n_jobs = 1
        return each_call(self.model.predict_proba, rows, seconds)

    def batch(self, x, threads):
        def score():
            self.model.n_jobs = threads
            return self.model.predict_proba(x)

        return score


class ExtraTrees(ScikitLearn):
    note = "another learner (random thresholds, no bootstrap), for information"

    def estimator(self):
        from sklearn.ensemble import ExtraTreesClassifier

        return ExtraTreesClassifier


class ScikitLearnIntelex(ScikitLearn):
    note = "histograms of 256 bins, its default"

    def estimator(self):
        from sklearnex.ensemble import RandomForestClassifier

        return RandomForestClassifier

/* Times one prediction after another through the C interfaces of the peers: what an engine costs without Python.
 *
 * Every loop takes its rows one by one in order and writes the nanoseconds of each call; it returns 0 unless a call failed.
 * The clock itself is within the figure, as it is for ours. */
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* LGBM_BoosterPredictForMatSingleRowFast */
typedef int (*lightgbm_predict)(void *config, const void *row, int64_t *n, double *out);

int time_lightgbm(lightgbm_predict predict, void *config, const double *rows, size_t n_rows, size_t n_features,
                  uint64_t *taken) {
    double out[64];
    int64_t n = 0;
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t start = now();
        if (predict(config, rows + i * n_features, &n, out)) return 1;
        taken[i] = now() - start;
    }
    return 0;
}

/* XGBoosterPredictFromDense; `array` describes `buffer`, into which each row is copied. */
typedef int (*xgboost_predict)(void *booster, const char *array, const char *config, void *proxy, const uint64_t **shape,
                               uint64_t *dim, const float **result);

int time_xgboost(xgboost_predict predict, void *booster, const char *array, const char *config, float *buffer,
                 const float *rows, size_t n_rows, size_t n_features, uint64_t *taken) {
    const uint64_t *shape;
    uint64_t dim;
    const float *result;
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t start = now();
        memcpy(buffer, rows + i * n_features, n_features * sizeof *buffer);
        if (predict(booster, array, config, NULL, &shape, &dim, &result)) return 1;
        taken[i] = now() - start;
    }
    return 0;
}

/* lleaves: forest_root(data, results, first row, end) */
typedef void (*lleaves_predict)(const double *rows, double *out, int start, int end);

int time_lleaves(lleaves_predict predict, const double *rows, size_t n_rows, size_t n_features, uint64_t *taken) {
    double out[64];
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t start = now();
        predict(rows + i * n_features, out, 0, 1);
        taken[i] = now() - start;
    }
    return 0;
}

/* tl2cgen: predict(entries, margin, out), an entry being a union of a missing mark and the value (8 bytes as doubles). */
typedef void (*tl2cgen_predict)(void *entries, int margin, double *out);

int time_tl2cgen(tl2cgen_predict predict, double *rows, size_t n_rows, size_t n_features, uint64_t *taken) {
    double out[64];
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t start = now();
        predict(rows + i * n_features, 0, out);
        taken[i] = now() - start;
    }
    return 0;
}

/* Single comparisons of the default encoder, counted; made by tests/tools/fmr_table.sh. */
#define FMR_MOBILEFACE128_SAME 170714
#define FMR_MOBILEFACE128_DIFFERENT 21592789
/* similarity, different people at or above, same person below */
#define FMR_MOBILEFACE128(POINT) \
    POINT(0.00, 11408064, 2) \
    POINT(0.01, 10531893, 2) \
    POINT(0.02, 9659712, 2) \
    POINT(0.03, 8803633, 3) \
    POINT(0.04, 7970694, 3) \
    POINT(0.05, 7168568, 3) \
    POINT(0.06, 6407987, 6) \
    POINT(0.07, 5689343, 7) \
    POINT(0.08, 5019981, 9) \
    POINT(0.09, 4401114, 13) \
    POINT(0.10, 3833212, 15) \
    POINT(0.11, 3319692, 16) \
    POINT(0.12, 2857677, 19) \
    POINT(0.13, 2445957, 22) \
    POINT(0.14, 2082417, 25) \
    POINT(0.15, 1762998, 28) \
    POINT(0.16, 1484688, 36) \
    POINT(0.17, 1245359, 39) \
    POINT(0.18, 1037383, 45) \
    POINT(0.19, 860871, 49) \
    POINT(0.20, 711451, 56) \
    POINT(0.21, 585649, 64) \
    POINT(0.22, 479246, 69) \
    POINT(0.23, 390772, 72) \
    POINT(0.24, 317338, 78) \
    POINT(0.25, 256487, 84) \
    POINT(0.26, 206744, 89) \
    POINT(0.27, 165757, 95) \
    POINT(0.28, 132271, 100) \
    POINT(0.29, 105242, 107) \
    POINT(0.30, 83364, 115) \
    POINT(0.31, 65604, 123) \
    POINT(0.32, 51555, 134) \
    POINT(0.33, 40326, 152) \
    POINT(0.34, 31591, 163) \
    POINT(0.35, 24583, 185) \
    POINT(0.36, 19056, 204) \
    POINT(0.37, 14750, 234) \
    POINT(0.38, 11319, 262) \
    POINT(0.39, 8715, 292) \
    POINT(0.40, 6715, 351) \
    POINT(0.41, 5075, 414) \
    POINT(0.42, 3864, 502) \
    POINT(0.43, 2892, 603) \
    POINT(0.44, 2151, 750) \
    POINT(0.45, 1613, 917) \
    POINT(0.46, 1177, 1127) \
    POINT(0.47, 894, 1385) \
    POINT(0.48, 651, 1719) \
    POINT(0.49, 489, 2120) \
    POINT(0.50, 373, 2586) \
    POINT(0.51, 278, 3168) \
    POINT(0.52, 200, 3826) \
    POINT(0.53, 140, 4706) \
    POINT(0.54, 94, 5714) \
    POINT(0.55, 68, 6855)

4PB#separator \x09
#fields	a	b
#types	count	string
1	x
-	(empty)
#close	1

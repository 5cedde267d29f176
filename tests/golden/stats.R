# The session that made stats.json: R 4.2.2 (2022-11-10 r83330), package survival 3.5.3. Run: Rscript tests/golden/stats.R
library(survival)
p <- function(...) cat(sprintf(...))
for (k in c(0,1,4,10,200)) { i <- poisson.test(k)$conf.int; p("garwood %d %.10f %.10f\n", k, i[1], i[2]) }
for (q in list(c(1,.5,200,30),c(0,.9,7,1.5),c(3,10,5,20),c(12,3,0,4))) { t <- poisson.test(c(q[1],q[3]),c(q[2],q[4])); p("ratio %g %g %g %g : %.10g %.10g %.10g %.10g\n",q[1],q[2],q[3],q[4],t$estimate,t$conf.int[1],t$conf.int[2],t$p.value) }
x <- c(3,7,1,12,5,9,2,2,15,4,6,11); v <- c(10,8,6,20,9,18,12,5,16,7,13,14)
# right truncation x<=v is left truncation of tau-x at tau-v in reversed time
tau <- 30; s <- survfit(Surv(tau-v-0.5, tau-x, rep(1,12))~1)
cat("lyndenbell F(x-): "); print(rbind(x=tau-s$time, F=round(s$surv,10)), digits=10) # half a day makes entry before an equal exit
# truncated exponential and Weibull
u <- c(0,2,0,5,1,0,0,1,6,0,3,4)
nll <- function(s,k) -sum(dweibull(x,k,s,log=TRUE)-log(pweibull(v,k,s)-pweibull(u,k,s)))
e <- optimize(function(l) nll(exp(l),1), c(-3,12), tol=1e-12); p("exp scale %.8g loglik %.10g\n", exp(e$minimum), -e$objective)
w <- optim(c(log(5),0), function(q) nll(exp(q[1]),exp(q[2])), control=list(reltol=1e-15,maxit=5000)); p("weibull scale %.8g shape %.8g loglik %.10g\n", exp(w$par[1]),exp(w$par[2]),-w$value)
# test martingale, 64-node log-uniform prior on (theta0/100, theta0), new=2 old=30 r=.2 theta0=.5
th <- function(lo,hi,n) exp(log(lo)+((0:(n-1))+.5)*(log(hi)-log(lo))/n)
pr <- function(t,r) t*r/(1+t*r)
L <- function(t,r,a,b) pr(t,r)^a*(1-pr(t,r))^b
g <- th(.005,.5,64); g2 <- th(.5,50,64)
lr <- L(g,.2,1,12)*L(g,.4,1,18)/(L(.5,.2,1,12)*L(.5,.4,1,18)); lr2 <- L(g2,.2,1,12)*L(g2,.4,1,18)/(L(.5,.2,1,12)*L(.5,.4,1,18))
p("e %.10g robust %.10g against %.10g robust %.10g\n", mean(lr), mean(lr^(1/3)), mean(lr2), mean(lr2^(1/3)))
gw <- th(1/1000,1000,128); M <- mean(L(gw,.2,1,12)*L(gw,.4,1,18))
f <- function(lc) log(M)-log(L(exp(lc),.2,1,12)*L(exp(lc),.4,1,18))-log(20)
mle <- optimize(function(l) -log(L(exp(l),.2,1,12)*L(exp(l),.4,1,18)),c(-8,5),tol=1e-10)$minimum
p("cs %.8g %.8g\n", exp(uniroot(f,c(-20,mle),tol=1e-12)$root), exp(uniroot(f,c(mle,12),tol=1e-12)$root))
# Efron-Petrosian fixed point, plain iteration
J <- outer(1:12,1:12,function(i,j) u[i]<=x[j] & x[j]<=v[i]); f <- rep(1/12,12)
for (i in 1:200000) { F <- J %*% f; f <- 1/as.vector(t(J) %*% (1/F)); f <- f/sum(f) }
o <- order(x); p("npmle x %s\n", paste(x[o],collapse=",")); p("npmle S %s\n", paste(sprintf("%.8f",1-cumsum(f[o])),collapse=","))
print(R.version.string); print(packageVersion("survival"))
